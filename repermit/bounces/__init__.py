"""Reading bounces, complaints and replies, and recording what follows from them."""
