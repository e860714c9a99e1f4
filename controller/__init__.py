"""Where all parts meet: the scan, the decision, the daemon, its socket and its command line.

Rule: `decide` is pure; only the station shell, the daemon and the socket wait.
"""
