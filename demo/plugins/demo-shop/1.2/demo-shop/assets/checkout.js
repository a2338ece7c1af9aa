/* The checkout: totals follow the delivery, and the button places the order without leaving the page. */
( function () {
	'use strict';

	var form = document.querySelector( 'form.checkout' );
	if ( ! form ) {
		return;
	}
	var review = document.getElementById( 'order_review' );

	function block() {
		var overlay = document.createElement( 'div' );
		overlay.className = 'blockUI blockOverlay';
		review.appendChild( overlay );
		return overlay;
	}

	function ask( action ) {
		return fetch( demo_shop.ajax_url + action, { method: 'POST', body: new FormData( form ), credentials: 'same-origin' } ).then( function ( response ) {
			if ( ! response.ok ) {
				throw new Error( action + ' answered ' + response.status );
			}
			return response.json();
		} );
	}

	function showErrors( html ) {
		clearErrors();
		form.insertAdjacentHTML( 'afterbegin', '<div class="woocommerce-NoticeGroup">' + html + '</div>' );
		form.scrollIntoView();
	}

	function clearErrors() {
		form.querySelectorAll( '.woocommerce-NoticeGroup' ).forEach( function ( group ) {
			group.remove();
		} );
	}

	function updateTotals() {
		var overlay = block();
		ask( 'update_order_review' )
			.then( function ( answer ) {
				if ( 'success' !== answer.result ) {
					showErrors( answer.messages );
					return;
				}
				Object.keys( answer.fragments ).forEach( function ( selector ) {
					document.querySelector( selector ).outerHTML = answer.fragments[ selector ];
				} );
			} )
			.finally( function () {
				overlay.remove();
			} );
	}

	function placeOrder( event ) {
		event.preventDefault();
		clearErrors();
		if ( ! demo_shop.zones.includes( form.elements.billing_postcode.value.charAt( 0 ) ) ) {
			showErrors( demo_shop.no_delivery );
			return;
		}
		var overlay = block();
		ask( 'checkout' )
			.then( function ( answer ) {
				if ( 'success' === answer.result ) {
					window.location.assign( answer.redirect );
					return;
				}
				showErrors( answer.messages );
				overlay.remove();
			} )
			.catch( function ( error ) {
				overlay.remove();
				throw error;
			} );
	}

	form.addEventListener( 'change', function ( event ) {
		if ( event.target.matches( 'input.shipping_method' ) ) {
			updateTotals();
		}
	} );
	form.addEventListener( 'submit', placeOrder );
	updateTotals();
} )();
