/// Waits until a condition holds, at most so many seconds; false where it never did.
package func eventually(seconds: Double = Wait.hangSeconds, _ condition: () async -> Bool) async -> Bool {
    let clock = ContinuousClock()
    let deadline = clock.now + .milliseconds(Int(seconds * 1000))
    while clock.now < deadline {
        if await condition() { return true }
        try? await Task.sleep(for: .milliseconds(5))
    }
    return await condition()
}

/// Lets time pass so that what must not happen could have happened. Never a way to wait for what must.
package func letTimePass(milliseconds: Int) async {
    try? await Task.sleep(for: .milliseconds(milliseconds))
}

/// Sleeps for a clock that a test runs faster than the real one.
package func sleepForClock(microseconds: Int64) async throws {
    try await Task.sleep(for: .microseconds(microseconds))
}
