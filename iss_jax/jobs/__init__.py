"""What commands share: run directories, processes, options, packaged paths, reports."""
