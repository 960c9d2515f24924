"""Who people are: keys, names, links, verification codes. Pure."""
