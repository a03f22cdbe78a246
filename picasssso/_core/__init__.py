"""What every part of the package needs: files, blocks, records, headers, sky, devices."""
