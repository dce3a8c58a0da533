"""What may leave the school: the class of each series, its windows, its fields, and how coarse they are."""
