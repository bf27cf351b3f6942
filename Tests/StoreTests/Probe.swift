import BurstTestSupport
import Glibc

/// The probe, a small program on the real store (Tests/store-probe).
enum Probe {
    static func start(_ arguments: String..., keepsInput: Bool = false) throws -> PipedProgram {
        try PipedProgram(
            [Programs.path(of: "store-probe")] + arguments,
            environment: ["PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "SWIFT_BACKTRACE": "enable=no"],
            keepsInput: keepsInput)
    }
}

/// Variables of the test's own environment.
enum Environment {
    static subscript(name: String) -> String? { getenv(name).map { String(cString: $0) } }
}
