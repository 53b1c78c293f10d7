select epoch, seq from stats.position
