// swift-tools-version: 6.2
import PackageDescription

let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

let arguments = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let subprocess = Target.Dependency.product(name: "Subprocess", package: "swift-subprocess")
let system = Target.Dependency.product(name: "SystemPackage", package: "swift-system")
let toml = Target.Dependency.product(name: "TOMLKit", package: "TOMLKit")

/// A module of ours: Swift code that others import.
func module(_ name: String, _ dependencies: Target.Dependency..., resources: [Resource] = []) -> Target {
    .target(name: name, dependencies: dependencies, resources: resources, swiftSettings: settings)
}

/// A program: reads arguments, wires modules together, and no more.
func program(_ name: String, _ dependencies: Target.Dependency...) -> Target {
    .executableTarget(name: name, dependencies: dependencies, swiftSettings: settings)
}

/// The tests of one subject.
func tests(
    _ name: String, _ dependencies: Target.Dependency..., exclude: [String] = [], resources: [Resource] = []
) -> Target {
    .testTarget(
        name: name, dependencies: dependencies, exclude: exclude, resources: resources, swiftSettings: settings)
}

let package = Package(
    name: "Burst",
    products: [
        .executable(name: "burstmon", targets: ["burstmon"]),
        .executable(name: "burst-bench", targets: ["burst-bench"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-system", from: "1.6.0"),
        .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.2", traits: []),
        .package(url: "https://github.com/LebJe/TOMLKit", from: "0.6.0"),
    ],
    targets: [
        // Pure: values in, values out.
        module("BurstModel"),
        module("BurstScreen", "BurstModel"),
        module(
            "BurstReports", "BurstModel", "BurstScreen",
            resources: [.embedInCode("Resources/burstmon.schema.json")]),
        module("BurstEngine", "BurstModel"),
        // Edges: each owns one part of the outside.
        module("BurstSettings", "BurstModel", "BurstScreen", toml),
        module("BurstSources", "BurstModel", "CJSONC", subprocess, system),
        module("BurstTerminal", "BurstScreen", "CCurses", "CSys"),
        .target(name: "CSys", publicHeadersPath: "include"),
        .systemLibrary(name: "CJSONC", providers: [.apt(["libjson-c-dev"])]),
        .systemLibrary(name: "CCurses", providers: [.apt(["libncurses-dev"])]),
        // The monitor's loop and its program.
        module(
            "BurstMonitor", "BurstModel", "BurstScreen", "BurstReports", "BurstSettings", "BurstSources",
            "BurstTerminal", "CSys"),
        .executableTarget(
            name: "burstmon", dependencies: ["BurstMonitor", "BurstModel", "BurstScreen", arguments],
            exclude: ["Resources", "burstmon.1"], swiftSettings: settings),
        program("burst-bench", "BurstBench", "BurstTestSupport", arguments),
        module("BurstBench", "BurstModel", "BurstScreen", "BurstTestSupport"),
        // What tests and benchmarks share.
        module("BurstTestSupport", "BurstModel", "BurstScreen", "CSys"),
        tests("ModelTests", "BurstModel", "BurstTestSupport"),
        tests("ScreenTests", "BurstScreen", "BurstModel", "BurstTestSupport", exclude: ["Screens"]),
        tests("SourcesTests", "BurstSources", "BurstModel", "BurstTestSupport"),
        tests("SettingsTests", "BurstSettings", "BurstScreen", "BurstModel", "BurstTestSupport"),
        tests("TerminalTests", "BurstTerminal", "BurstScreen", "BurstTestSupport", "CSys", "terminal-probe"),
        .executableTarget(
            name: "terminal-probe", dependencies: ["BurstTerminal", "BurstScreen"], path: "Tests/terminal-probe",
            swiftSettings: settings),
        tests("ReportsTests", "BurstReports", "BurstModel", "BurstScreen", "BurstTestSupport"),
        tests("ReferenceTests", "BurstSources", "BurstModel", "BurstScreen", "BurstTestSupport", "burstmon"),
        tests("ScenarioTests", "BurstTestSupport", exclude: ["Scenarios"]),
        tests("EndToEndTests", "BurstScreen", "BurstTestSupport", "burstmon"),
        tests("TidyTests", "BurstTestSupport"),
        // The parsers under chance: libFuzzer's entry points (Tests/Fuzz/run), and their seeds as ordinary tests.
        .target(
            name: "BurstFuzz",
            dependencies: ["BurstModel", "BurstScreen", "BurstSettings", "BurstSources", "BurstTestSupport"],
            path: "Tests/Fuzz", exclude: ["run"], swiftSettings: settings),
        tests("FuzzTests", "BurstFuzz", "BurstModel", "BurstTestSupport"),
    ]
)
