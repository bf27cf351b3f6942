enum BurstTestSupportModule {}
