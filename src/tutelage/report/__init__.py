"""The report: figures, the page and the model card; it draws and computes nothing new."""
