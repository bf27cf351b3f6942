enum BurstMonitorModule {}
