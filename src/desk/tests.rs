//! The cache core by its rules, and by thousands of random histories.
