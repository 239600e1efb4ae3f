"""The ground everything stands on: settings, database, errors, work days, journal, jobs, lab."""
