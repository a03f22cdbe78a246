"""What images and maps both need: pixels on the sky, FITS headers, records as JSON."""
