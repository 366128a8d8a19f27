"""What reads from outside, given anything: guided by coverage in `make fuzz`, by its seeds alone in the tests."""
