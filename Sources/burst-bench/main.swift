print("burst-bench")
