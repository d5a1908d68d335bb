"""Questions about the library itself: recognized by rules, and answered from the database without a model."""
