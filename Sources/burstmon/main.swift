print("burstmon")
