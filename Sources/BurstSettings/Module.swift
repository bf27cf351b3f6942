enum BurstSettingsModule {}
