"""NMR against success: from a success table and episodes to correlations, figures, a report."""
