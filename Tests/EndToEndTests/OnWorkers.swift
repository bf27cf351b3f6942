import BurstTestSupport
import Testing

/// Runs the tests of a suite on threads that may wait.
struct OnWorkers: SuiteTrait, TestTrait, TestScoping {
    var isRecursive: Bool { true }

    func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
    ) async throws {
        try await withTaskExecutorPreference(Workers.shared) { try await function() }
    }
}

extension Trait where Self == OnWorkers {
    static var onWorkers: Self { Self() }
}
