"""The HTTP door: DICOMweb (PS3.18) over the archive's services."""
