"""From arrays to what people see: colours, overlays, figures and charts."""
