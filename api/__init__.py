"""What passes the daemon's control socket, and how to ask over it.

Rule: every face (command line, web, scripts) speaks these messages; none has another way in.
"""
