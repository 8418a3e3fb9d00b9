"""The method in the order of the data: noising, prediction, difference, uncertainty, reliability, heatmap."""
