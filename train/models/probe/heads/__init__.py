"""From features to a distribution over the site's cells."""
