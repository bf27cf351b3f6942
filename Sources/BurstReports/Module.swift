enum BurstReportsModule {}
