"""The online approval hall: cases, their steps, decisions and work-day limits."""
