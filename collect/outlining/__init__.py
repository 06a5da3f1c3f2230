"""The site's polygon: proposed around photos, drawn on a page, and checked where somebody has a file already."""
