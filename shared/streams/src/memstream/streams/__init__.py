"""Redis as Memstream uses it: connections, consumer groups, backlogs and scripts."""
