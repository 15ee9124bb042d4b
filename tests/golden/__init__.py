"""Reference values of independent implementations, and one test a family that reads them."""
