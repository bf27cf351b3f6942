enum BurstModelModule {}
