"""The perturbation pipeline of S3, stage by stage (spec section 4): what a segment is, which stay, what shows instead,
and what is made of the probabilities."""
