# The verbs of the build: a layer, its unit tests, a program, generated protos.

set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_C_FLAGS_RELWITHDEBINFO "-O2 -g") # no NDEBUG: assertions stay on
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
option(NEO_FUZZ "build the fuzz targets (clang)" OFF)
option(NEO_TPM "evidence of TPMs, where tpm2-tss is there" ON)
option(NEO_LTO "optimise the library as one (gcc)" OFF)
if(NEO_LTO AND NOT CMAKE_C_COMPILER_ID STREQUAL GNU)
    message(FATAL_ERROR "NEO_LTO is made for gcc; use CMAKE_INTERPROCEDURAL_OPTIMIZATION with others")
endif()
set(NEO_WHOLE ${CMAKE_BINARY_DIR}/neo_whole.o)

set(NEO_OUTPUT_DIR "${CMAKE_BINARY_DIR}" CACHE PATH "where bin/ and lib/ go")
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${NEO_OUTPUT_DIR}/bin")
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY "${NEO_OUTPUT_DIR}/lib")
set(CMAKE_ARCHIVE_OUTPUT_DIRECTORY "${NEO_OUTPUT_DIR}/lib")

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
pkg_check_modules(OPENSSL REQUIRED IMPORTED_TARGET openssl>=3.0)
pkg_check_modules(NGHTTP2 REQUIRED IMPORTED_TARGET libnghttp2>=1.52)
pkg_check_modules(UV REQUIRED IMPORTED_TARGET libuv>=1.44)
pkg_check_modules(YAML REQUIRED IMPORTED_TARGET yaml-0.1>=0.2.5)
pkg_check_modules(ZLIB REQUIRED IMPORTED_TARGET zlib>=1.2.13)
pkg_check_modules(SQLITE REQUIRED IMPORTED_TARGET sqlite3>=3.40)
if(NEO_TPM)
    pkg_check_modules(TSS2 IMPORTED_TARGET tss2-esys>=3.2 tss2-mu>=3.2 tss2-tctildr>=3.2) # may be absent
endif()
pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)

add_library(neo_flags INTERFACE)
target_compile_definitions(neo_flags INTERFACE _GNU_SOURCE)
target_include_directories(neo_flags INTERFACE ${PROJECT_SOURCE_DIR}/include)
target_compile_options(neo_flags INTERFACE
    -Wall -Wextra -Wpedantic -Werror -Wshadow -Wconversion -Wsign-conversion -Wundef
    -Wstrict-prototypes -Wmissing-prototypes -Wcast-qual -Wwrite-strings -Wvla
    -Wformat=2 -Wswitch-enum -Wimplicit-fallthrough -fno-common
    -fno-delete-null-pointer-checks -fno-strict-overflow
    -fstack-protector-strong -fstack-clash-protection -fcf-protection=full
    $<$<CONFIG:RelWithDebInfo>:-U_FORTIFY_SOURCE> $<$<CONFIG:RelWithDebInfo>:-D_FORTIFY_SOURCE=2>)
target_link_options(neo_flags INTERFACE -Wl,-z,relro,-z,now,-z,noexecstack)

# Inside src/ and its tests, internal headers are reachable as "layer/file.h".
add_library(neo_internal INTERFACE)
target_link_libraries(neo_internal INTERFACE neo_flags)
target_include_directories(neo_internal INTERFACE ${PROJECT_SOURCE_DIR}/src)

# Of GCC: no call through a table within the library, and no `rep stos`, which takes longer to begin
# than clearing a struct of a call takes.
set(NEO_LTO_FLAGS -flto=auto -fno-semantic-interposition -fno-plt)
if(CMAKE_SYSTEM_PROCESSOR STREQUAL x86_64)
    list(APPEND NEO_LTO_FLAGS -mmemset-strategy=unrolled_loop:64:noalign,libcall:-1:noalign)
endif()

# tools/pgo builds the same tree twice: first to be watched, then by what was seen. What was not seen is
# optimised as ever. A profile is of the very sources and the compiler that made it: none is kept.
set(NEO_PGO "" CACHE STRING "train: write a profile; use: optimise by it; see tools/pgo")
set(NEO_PROFILE ${CMAKE_BINARY_DIR}/profile)
if(NEO_PGO AND NOT NEO_LTO)
    message(FATAL_ERROR "NEO_PGO needs NEO_LTO")
elseif(NEO_PGO STREQUAL train)
    list(APPEND NEO_LTO_FLAGS -fprofile-generate -fprofile-update=atomic -fprofile-dir=${NEO_PROFILE})
    target_link_options(neo_flags INTERFACE -fprofile-generate)
elseif(NEO_PGO STREQUAL use)
    list(APPEND NEO_LTO_FLAGS -fprofile-use=${NEO_PROFILE} -fprofile-partial-training -Wno-missing-profile)
elseif(NEO_PGO)
    message(FATAL_ERROR "NEO_PGO is \"${NEO_PGO}\"; it may be train or use")
endif()

# neo_layer(name sources...): called from src/<name>/CMakeLists.txt.
function(neo_layer name)
    add_library(neo_${name} OBJECT ${ARGN})
    target_link_libraries(neo_${name} PUBLIC neo_internal)
    if(NEO_LTO)
        target_compile_options(neo_${name} PRIVATE ${NEO_LTO_FLAGS} -ffat-lto-objects)
    endif()
    set_property(GLOBAL APPEND PROPERTY NEO_LAYERS neo_${name})
endfunction()

# neo_optimise_together(output objects...): one object of many, which the compiler has seen together.
# Calls between files are half of what a call through the library is, so this is worth 5 % of its CPU;
# that it is done once, and not for each program, keeps the build short.
function(neo_optimise_together output)
    add_custom_command(OUTPUT ${output}
        COMMAND ${CMAKE_C_COMPILER} -r ${NEO_LTO_FLAGS} -flinker-output=nolto-rel -O2 -g -fPIC -o ${output} ${ARGN}
        DEPENDS ${ARGN} COMMAND_EXPAND_LISTS COMMENT "Optimising the library as one" VERBATIM)
    set_source_files_properties(${output} TARGET_DIRECTORY neo_static
        PROPERTIES EXTERNAL_OBJECT ON GENERATED ON)
endfunction()

# neo_is_delivered(target): a program that is used, not a test: it gets the library as one object.
function(neo_is_delivered target)
    if(NEO_LTO)
        set_source_files_properties(${NEO_WHOLE} PROPERTIES EXTERNAL_OBJECT ON GENERATED ON)
        target_sources(${target} PRIVATE ${NEO_WHOLE})
    endif()
endfunction()

# neo_unit_tests(layer modules...): tests/unit/<layer>/test_<module>.c, linked with the whole library.
function(neo_unit_tests layer)
    foreach(module IN LISTS ARGN)
        set(target test_${layer}_${module})
        add_executable(${target} ${PROJECT_SOURCE_DIR}/tests/unit/${layer}/test_${module}.c)
        target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
        target_link_libraries(${target} PRIVATE neo_internal $<TARGET_NAME_IF_EXISTS:neo_test_support>
            neo_static PkgConfig::CMOCKA)
        set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
        add_test(NAME unit.${layer}.${module} COMMAND ${target})
        set_tests_properties(unit.${layer}.${module} PROPERTIES TIMEOUT 120
            ENVIRONMENT "NEO_SOURCE_DIR=${PROJECT_SOURCE_DIR}")
    endforeach()
endfunction()

# neo_sim_tests(folder modules...): tests/<folder>/test_<module>.c, linked with the simulated twin of
# src/io (tests/support/sim.h) in place of the real one. NEO_SIM is defined. A failed assertion ends
# the program at once: the teardown of a test that broke off would end it with another complaint.
function(neo_sim_tests folder)
    string(REPLACE "/" "." name ${folder})
    foreach(module IN LISTS ARGN)
        set(target sim.${name}.${module})
        add_executable(${target} ${PROJECT_SOURCE_DIR}/tests/${folder}/test_${module}.c)
        target_compile_definitions(${target} PRIVATE NEO_SIM)
        target_link_libraries(${target} PRIVATE $<TARGET_NAME_IF_EXISTS:neo_test_support> neo_sim
            PkgConfig::CMOCKA)
        set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
        add_test(NAME ${target} COMMAND ${target})
        set_tests_properties(${target} PROPERTIES TIMEOUT 120
            ENVIRONMENT "NEO_SOURCE_DIR=${PROJECT_SOURCE_DIR};CMOCKA_TEST_ABORT=1")
    endforeach()
endfunction()

# neo_fuzz_target(name): tests/fuzz/fuzz_<name>.c with the corpus in tests/fuzz/corpus/<name>.
# Outside the fuzz preset the same file is built with a driver that replays the corpus as a test.
function(neo_fuzz_target name)
    set(target fuzz_${name})
    add_executable(${target} ${PROJECT_SOURCE_DIR}/tests/fuzz/fuzz_${name}.c)
    target_link_libraries(${target} PRIVATE neo_internal $<TARGET_NAME_IF_EXISTS:neo_test_support>
        neo_static)
    set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
    if(NEO_FUZZ)
        target_link_options(${target} PRIVATE -fsanitize=fuzzer)
    else()
        target_sources(${target} PRIVATE ${PROJECT_SOURCE_DIR}/tests/fuzz/replay.c)
        add_test(NAME fuzz.${name} COMMAND ${target} ${PROJECT_SOURCE_DIR}/tests/fuzz/corpus/${name})
        set_tests_properties(fuzz.${name} PROPERTIES TIMEOUT 120)
    endif()
endfunction()

# neo_protos(target [IN_LIBRARY] ROOT dir FILES a/b.proto ... [OPTIONS name=a.B=a_C ...]): generates gen/a/b.neo.[hc] with
# protoc-gen-neo and compiles them to the object library `target`, whose users see the headers as
# "a/b.neo.h". With IN_LIBRARY the objects become part of libneo. Files may import each other, those of
# proto/ and google/protobuf/*.proto; what is imported from another call of neo_protos comes with linking
# that target. OPTIONS are those of the generator, each a --neo_opt: docs/CODEGEN.md.
find_program(NEO_PROTOC protoc REQUIRED)
find_path(NEO_PROTOBUF_ROOT google/protobuf/any.proto REQUIRED)
set(NEO_GEN_DIR ${CMAKE_BINARY_DIR}/gen)
file(MAKE_DIRECTORY ${NEO_GEN_DIR})

function(neo_protos target)
    cmake_parse_arguments(PARSE_ARGV 1 arg "IN_LIBRARY" "ROOT" "FILES;OPTIONS")
    list(TRANSFORM arg_OPTIONS PREPEND --neo_opt=)
    set(sources "")
    foreach(file IN LISTS arg_FILES)
        string(REGEX REPLACE "\\.proto$" "" stem ${file})
        # The order of protoc's own dependency file, which ninja compares.
        set(outputs ${NEO_GEN_DIR}/${stem}.neo.c ${NEO_GEN_DIR}/${stem}.neo.h)
        string(REPLACE "/" "_" depfile ${target}_${stem}.d)
        add_custom_command(OUTPUT ${outputs}
            COMMAND ${NEO_PROTOC} --plugin=protoc-gen-neo=$<TARGET_FILE:protoc-gen-neo>
                ${arg_OPTIONS}
                --neo_out=${NEO_GEN_DIR} --dependency_out=${CMAKE_CURRENT_BINARY_DIR}/${depfile}
                -I${arg_ROOT} -I${PROJECT_SOURCE_DIR}/proto -I${NEO_PROTOBUF_ROOT} ${file}
            DEPENDS protoc-gen-neo ${arg_ROOT}/${file}
            DEPFILE ${CMAKE_CURRENT_BINARY_DIR}/${depfile}
            COMMENT "Generating ${stem}.neo.[hc]" VERBATIM)
        list(APPEND sources ${outputs})
    endforeach()
    add_library(${target} OBJECT ${sources})
    target_link_libraries(${target} PUBLIC neo_flags)
    target_include_directories(${target} PUBLIC ${NEO_GEN_DIR})
    if(arg_IN_LIBRARY)
        set_property(GLOBAL APPEND PROPERTY NEO_LAYERS ${target})
        if(NEO_LTO)
            target_compile_options(${target} PRIVATE ${NEO_LTO_FLAGS} -ffat-lto-objects)
        endif()
    else()
        target_link_libraries(${target} PUBLIC neo_protos)
    endif()
endfunction()
