enum BurstTerminalModule {}
