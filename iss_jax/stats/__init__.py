"""Statistics of clustered rows: correlations, resampling, groups told apart. numpy and scipy."""
