"""What is not part of Assay and has its place beside what is: classes of other packages, by name or by import path."""
