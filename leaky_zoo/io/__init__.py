"""Reading what may be damaged or hostile, writing so that nothing is half-written, the words of messages."""
