"""A score, a source, a calibrator and a property for Assay, each as small as it can be."""
