"""What a potential knows about a frame. One folder per foreign package, which is its only importer."""
