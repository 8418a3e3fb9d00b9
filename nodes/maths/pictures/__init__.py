"""The pictures that people see: overlays, legends, sheets, plots, animations."""
