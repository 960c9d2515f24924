"""What is done to sound between the microphone and the network, and back. Pure."""
