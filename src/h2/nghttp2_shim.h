/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nghttp2 1.60 replaced the functions that use ssize_t by others of the same
 * meaning. Here both have one name.
 */
#ifndef NEO_H2_NGHTTP2_SHIM_H
#define NEO_H2_NGHTTP2_SHIM_H

#include <nghttp2/nghttp2.h>

#if NGHTTP2_VERSION_NUM >= 0x013c00
typedef nghttp2_ssize shim_ssize;
typedef nghttp2_data_provider2 shim_data_provider;
#define shim_mem_recv        nghttp2_session_mem_recv2
#define shim_mem_send        nghttp2_session_mem_send2
#define shim_submit_request  nghttp2_submit_request2
#define shim_submit_response nghttp2_submit_response2
#else
typedef ssize_t shim_ssize;
typedef nghttp2_data_provider shim_data_provider;
#define shim_mem_recv        nghttp2_session_mem_recv
#define shim_mem_send        nghttp2_session_mem_send
#define shim_submit_request  nghttp2_submit_request
#define shim_submit_response nghttp2_submit_response
#endif

#endif
