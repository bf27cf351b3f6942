enum BurstSourcesModule {}
