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
let grdb = Target.Dependency.product(name: "GRDB", package: "GRDB.swift")
let sqlite = Target.Dependency.product(name: "GRDBSQLite", package: "GRDB.swift")
let system = Target.Dependency.product(name: "SystemPackage", package: "swift-system")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let nioCore = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let nioPosix = Target.Dependency.product(name: "NIOPosix", package: "swift-nio")
let lifecycle = Target.Dependency.product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let unixSignals = Target.Dependency.product(name: "UnixSignals", package: "swift-service-lifecycle")
let toml = Target.Dependency.product(name: "TOMLKit", package: "TOMLKit")

/// A module of ours: Swift code that others import.
func module(_ name: String, _ dependencies: Target.Dependency..., resources: [Resource] = []) -> Target {
    .target(name: name, dependencies: dependencies, resources: resources, swiftSettings: settings)
}

/// A program: reads arguments, wires modules together, and no more.
func program(_ name: String, _ dependencies: Target.Dependency...) -> Target {
    .executableTarget(name: name, dependencies: dependencies, swiftSettings: settings)
}

/// A program that starts in milliseconds, with Swift's library in it.
func lightClient(_ name: String) -> Target {
    .executableTarget(
        name: name, dependencies: ["BurstStageClient", "BurstWire"], exclude: ["\(name).1"], swiftSettings: settings,
        linkerSettings: [
            .unsafeFlags(["-static-stdlib", "-use-ld=lld"]), .linkedLibrary("_FoundationCShims"),
            .linkedLibrary("_FoundationCollections"),
        ])
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
        .executable(name: "burstd", targets: ["burstd"]),
        .executable(name: "burst-scriptd", targets: ["burst-scriptd"]),
        .executable(name: "burst", targets: ["burst"]),
        .executable(name: "burst-bench", targets: ["burst-bench"]),
        .executable(name: "burst-stepd", targets: ["burst-stepd"]),
        .executable(name: "burst-stage", targets: ["burst-stage"]),
        .executable(name: "dw_wlm_cli", targets: ["dw_wlm_cli"]),
        .executable(name: "dwstat", targets: ["dwstat"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-system", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.2", traits: []),
        .package(url: "https://github.com/LebJe/TOMLKit", from: "0.6.0"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
    ],
    targets: [
        // Pure: values in, values out.
        module("BurstModel"),
        module("BurstScreen", "BurstModel"),
        module(
            "BurstReports", "BurstModel", "BurstScreen",
            resources: [.embedInCode("Resources/burstmon.schema.json")]),
        module("BurstDataWarp", "BurstModel"),
        module("BurstEngine", "BurstModel", "BurstDataWarp"),
        module("BurstStager", "BurstModel"),
        module("BurstWire"),
        // Edges: each owns one part of the outside.
        module("BurstSettings", "BurstModel", "BurstScreen", toml),
        module("BurstSources", "BurstModel", "BurstWire", "BurstClient", "CJSONC", subprocess, system),
        module("BurstStore", "BurstModel", "BurstEngine", "BurstStager", grdb, sqlite),
        module("BurstTerminal", "BurstScreen", "CCurses", "CSys"),
        module("BurstSteps", "CSys"),
        module("BurstPools", "BurstModel", "CSys"),
        // Moves data as the job's user. No Foundation and no package of others: it starts often, and before its first
        // statement there is no thread. Swift's library is in the program: to look it up took as long as a clone of a
        // large file.
        module("BurstStaging", "CSys"),
        .executableTarget(
            name: "burst-stage", dependencies: ["BurstStaging"], swiftSettings: settings,
            linkerSettings: [.unsafeFlags(["-static-stdlib", "-use-ld=lld"])]),
        // C alone, and linked with nothing: one of them starts with every batch script, and Swift's library, which
        // would be linked else, triples what that costs.
        .executableTarget(
            name: "burst-stepd", cSettings: [.treatAllWarnings(as: .error)],
            linkerSettings: [.unsafeFlags(["-static-executable", "-nostartfiles"])]),
        module("BurstClient", "BurstWire"),
        // Cray's two commands over the stager. slurmctld starts one for each step of a buffer: what is linked into them
        // is looked up once, not at every start.
        .target(
            name: "BurstStageClient", dependencies: ["BurstClient", "BurstDataWarp", "BurstWire"],
            exclude: ["Resources"], swiftSettings: settings),
        lightClient("dw_wlm_cli"),
        lightClient("dwstat"),
        .target(name: "CSys", publicHeadersPath: "include"),
        // How burst_buffer.lua is run: in this process through a C library that keeps Lua to itself, or by
        // burst-scriptd.
        module("BurstHooks", "BurstModel", "BurstEngine", "CLuaGlue", "CJSONC", "CSys"),
        .target(
            name: "CLuaGlue", publicHeadersPath: "include",
            linkerSettings: [.linkedLibrary("lua5.4"), .linkedLibrary("json-c")]),
        // C alone as well: each call of a hook is a fork of it, which costs as much as there is in it. What the dynamic
        // linker would look up at the first use is looked up before the first fork.
        .executableTarget(
            name: "burst-scriptd", dependencies: ["CLuaGlue"],
            linkerSettings: [
                .unsafeFlags([
                    "-static-stdlib", "-nostartfiles", "-Xlinker", "--as-needed",
                    "-Xlinker", "-z", "-Xlinker", "now",
                ])
            ]),
        .systemLibrary(name: "CJSONC", providers: [.apt(["libjson-c-dev"])]),
        .systemLibrary(name: "CCurses", providers: [.apt(["libncurses-dev"])]),
        // The engine's loop, its socket and its program.
        module(
            "BurstDaemon", "BurstModel", "BurstEngine", "BurstWire", "BurstClient", "BurstStore", "BurstHooks",
            "BurstSteps", "BurstSources", "BurstStager", "BurstDataWarp", "BurstPools", "BurstSettings", "CSys",
            logging, nioCore, nioPosix, lifecycle, unixSignals),
        .executableTarget(
            name: "burstd", dependencies: ["BurstDaemon", arguments], exclude: ["burstd.8"], swiftSettings: settings),
        // The monitor's loop and its program.
        module(
            "BurstMonitor", "BurstModel", "BurstScreen", "BurstReports", "BurstSettings", "BurstSources",
            "BurstTerminal", "BurstClient", "BurstWire", "CSys"),
        .executableTarget(
            name: "burstmon", dependencies: ["BurstMonitor", "BurstModel", "BurstScreen", arguments],
            exclude: ["Resources", "burstmon.1"], swiftSettings: settings),
        program("burst-bench", "BurstBench", "BurstTestSupport", arguments),
        module(
            "BurstBench", "BurstModel", "BurstScreen", "BurstSources", "BurstEngine", "BurstWire", "BurstClient",
            "BurstHooks",
            "BurstStore", "BurstTestSupport", "CSys"),
        // The command line, under its own name and those of Slurm's commands.
        module(
            "BurstCommands", "BurstModel", "BurstEngine", "BurstWire", "BurstClient", "BurstPools", "BurstSettings",
            arguments),
        .executableTarget(
            name: "burst", dependencies: ["BurstCommands"], exclude: ["burst.1"], swiftSettings: settings),
        // What tests and benchmarks share.
        module(
            "BurstTestSupport", "BurstModel", "BurstEngine", "BurstStager", "BurstScreen", "BurstSteps", "CSys"),
        tests("EngineTests", "BurstEngine", "BurstModel", "BurstTestSupport"),
        tests("SimulationTests", "BurstEngine", "BurstTestSupport"),
        .executableTarget(
            name: "engine-simulation", dependencies: ["BurstTestSupport", "BurstEngine"],
            path: "Tests/engine-simulation", swiftSettings: settings),
        tests("StagerTests", "BurstStager", "BurstModel", "BurstTestSupport"),
        .executableTarget(
            name: "stager-simulation", dependencies: ["BurstTestSupport"], path: "Tests/stager-simulation",
            swiftSettings: settings),
        tests("ModelTests", "BurstModel", "BurstStager", "BurstTestSupport"),
        tests("DataWarpTests", "BurstDataWarp", "BurstModel", "BurstTestSupport"),
        tests("ScreenTests", "BurstScreen", "BurstModel", "BurstStager", "BurstTestSupport", exclude: ["Screens"]),
        tests(
            "SourcesTests", "BurstSources", "BurstModel", "BurstStager", "BurstClient", "BurstWire",
            "BurstTestSupport"),
        tests("SettingsTests", "BurstSettings", "BurstScreen", "BurstModel", "BurstTestSupport"),
        tests("TerminalTests", "BurstTerminal", "BurstScreen", "BurstTestSupport", "CSys", "terminal-probe"),
        .executableTarget(
            name: "terminal-probe", dependencies: ["BurstTerminal", "BurstScreen"], path: "Tests/terminal-probe",
            swiftSettings: settings),
        tests("StepsTests", "BurstSteps", "BurstTestSupport", "burst-stepd", "steps-probe"),
        .executableTarget(
            name: "steps-probe", dependencies: ["BurstSteps"], path: "Tests/steps-probe", swiftSettings: settings),
        tests("PoolsTests", "BurstPools", "BurstModel", "BurstSettings", "BurstTestSupport", "CSys", "pool-probe"),
        .executableTarget(
            name: "pool-probe", dependencies: ["BurstPools", "BurstModel"], path: "Tests/pool-probe",
            swiftSettings: settings),
        tests("StagingTests", "BurstStaging", "BurstTestSupport", "CSys"),
        tests(
            "StoreTests", "BurstStore", "BurstEngine", "BurstStager", "BurstModel", "BurstTestSupport", "store-probe",
            grdb,
            exclude: ["Upgrades"]),
        .executableTarget(
            name: "store-probe", dependencies: ["BurstStore", "BurstEngine", "BurstModel"], path: "Tests/store-probe",
            swiftSettings: settings),
        tests(
            "DaemonTests", "BurstDaemon", "BurstClient", "BurstWire", "BurstEngine", "BurstModel", "BurstTestSupport",
            "burstd", "burst-scriptd", "burst-stepd", "daemon-probe", grdb),
        .executableTarget(
            name: "daemon-probe", dependencies: ["BurstClient", "BurstWire"], path: "Tests/daemon-probe",
            swiftSettings: settings),
        tests(
            "StagerEndToEndTests", "BurstClient", "BurstWire", "BurstTestSupport", "CSys", "burst", "burstd",
            "burst-scriptd", "burst-stepd", "daemon-probe"),
        tests("WireTests", "BurstWire"),
        // Tests run dw_wlm_cli, dwstat and burst-stage, but must not depend on them: a bundle of tests is linked as all
        // of its programs are.
        tests("StageClientTests", "BurstStageClient", "BurstDataWarp", "BurstWire", "BurstTestSupport"),
        tests(
            "StagedSlurmTests", "BurstClient", "BurstWire", "BurstTestSupport", "CSys", "burst", "burstd",
            "burst-scriptd", "burst-stepd"),
        tests("ReportsTests", "BurstReports", "BurstModel", "BurstScreen", "BurstStager", "BurstTestSupport"),
        tests(
            "ReferenceTests", "BurstSources", "BurstModel", "BurstScreen", "BurstTestSupport", "burstmon"),
        tests(
            "ScenarioTests", "BurstTestSupport", "burstd", "burst", "burst-scriptd", "burst-stepd",
            exclude: ["Scenarios"]),
        tests(
            "EngineEndToEndTests", "BurstClient", "BurstWire", "BurstStore", "BurstEngine", "BurstModel",
            "BurstTestSupport", "burst", "burstd", "burst-scriptd", "burst-stepd"),
        tests(
            "EndToEndTests", "BurstScreen", "BurstTestSupport", "burstmon", "burstd", "burst-scriptd", "burst-stepd",
            "burst"),
        tests("HooksTests", "BurstHooks", "BurstEngine", "BurstTestSupport", "burst-scriptd"),
        tests(
            "CommandsTests", "BurstCommands", "BurstEngine", "BurstWire", "BurstModel", "BurstStager",
            "BurstTestSupport", "burst"),
        tests("TidyTests", "BurstTestSupport"),
        // The parsers under chance: libFuzzer's entry points (Tests/Fuzz/run), and their seeds as ordinary tests.
        .target(
            name: "BurstFuzz",
            dependencies: [
                "BurstModel", "BurstDataWarp", "BurstEngine", "BurstHooks", "BurstScreen", "BurstSettings",
                "BurstSources", "BurstStager", "BurstTestSupport", "BurstWire",
            ],
            path: "Tests/Fuzz", exclude: ["run"], swiftSettings: settings),
        tests("FuzzTests", "BurstFuzz", "BurstModel", "BurstTestSupport"),
    ]
)
