"""Recording what people answer: Yes, No, and signing up."""
