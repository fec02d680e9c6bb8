"""From a .pte to an Apple device: app projects, checks that run there, and what goes with them."""
