"""Names from and for other programs, and those that are proposed to whoever types one."""
