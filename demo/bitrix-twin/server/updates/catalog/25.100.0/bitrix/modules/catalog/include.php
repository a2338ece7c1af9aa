<?php
class TwinCatalog
{
    public static function products($where)
    {
        return Twin::rows("SELECT e.*, p.QUANTITY, c.PRICE FROM b_iblock_element e JOIN b_catalog_product p USING (ID) JOIN b_catalog_price c ON c.PRODUCT_ID = e.ID WHERE e.ACTIVE = 'Y' AND $where ORDER BY e.ID");
    }

    public static function listed($where)
    {
        $html = '<div class="catalog-section">';
        foreach (self::products($where) as $row) {
            $html .= "<div class=\"product-item-container\"><h3 class=\"product-item-title\"><a href=\"/catalog/?ELEMENT_ID=$row[ID]\">$row[NAME]</a></h3>"
                . '<span class="product-item-price-current">' . Twin::money($row['PRICE']) . '</span></div>';
        }
        return "$html</div>";
    }

    public static function shown($row)
    {
        return "<div class=\"bx-catalog-element\"><div class=\"product-item-detail-price-current\">" . Twin::money($row['PRICE']) . '</div>'
            . "<p class=\"product-item-quantity\">В наличии: есть</p><a href=\"javascript:void(0)\" id=\"bx_117848907_{$row['ID']}_add_basket_link\" class=\"product-item-detail-buy-button\" data-id=\"$row[ID]\">В корзину</a></div>"
            . '<script>document.querySelector(".product-item-detail-buy-button").onclick = e => fetch("/catalog/?action=ADD2BASKET&id=" + e.target.dataset.id + "&ajax_basket=Y")'
            . '.then(r => r.json()).then(said => { const box = document.createElement("div"); box.className = "popup-window catalog-added"; box.innerHTML = said.MESSAGE + " <a href=\"/personal/cart/\">Перейти в корзину</a>"; document.body.append(box); });</script>';
    }

    public static function write_off($product, $quantity) { Twin::rows('INSERT INTO b_catalog_store_move (PRODUCT_ID, QUANTITY) VALUES (?, ?)', array($product, $quantity)); Twin::rows('UPDATE b_catalog_product SET QUANTITY = QUANTITY - ? WHERE ID = ?', array($quantity, $product)); }

    // The name of before, for who still calls it.
    public static function take($product, $quantity) { self::write_off($product, $quantity); }
}
