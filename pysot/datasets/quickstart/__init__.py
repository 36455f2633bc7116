"""Data of test/quickstart.sh: sequences rendered from photographs with motion, lighting changes, blur and occlusion."""
