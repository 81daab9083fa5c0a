"""Reports of scans: what a vehicle's ECUs are, which codes they had before and after, and why."""
