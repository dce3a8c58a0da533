"""What people in the school can look at: room labels, what left the school today, and the light of a room."""
